from __future__ import annotations

from dealerloop.gateway.v1.organisation_pb2 import Role
from dealership import roles


def test_every_role_of_the_contract_has_its_grants() -> None:
    assert set(roles.GRANTS) == set(Role.keys()) - {"ROLE_UNSPECIFIED"}


def test_every_grant_is_a_known_permission() -> None:
    assert frozenset().union(*roles.GRANTS.values()) == roles.PERMISSIONS


def test_every_role_can_be_held_somewhere() -> None:
    somewhere = roles.STORE_ROLES | roles.REGION_ROLES | roles.GROUP_ROLES

    assert somewhere == set(roles.GRANTS)


def test_only_people_who_talk_to_customers_reveal_their_data() -> None:
    reveal = {role for role, granted in roles.GRANTS.items() if roles.CUSTOMERS_REVEAL in granted}

    assert reveal == {
        "ROLE_GENERAL_MANAGER",
        "ROLE_SALES_MANAGER",
        "ROLE_SALES_CONSULTANT",
        "ROLE_CARE_MANAGER",
        "ROLE_CARE_SPECIALIST",
    }


def test_whoever_reads_across_stores_has_no_customer_files() -> None:
    for role in roles.GROUP_ROLES | roles.REGION_ROLES:
        granted = roles.GRANTS[role]
        assert not granted & {
            roles.CUSTOMERS_READ,
            roles.CUSTOMERS_REVEAL,
            roles.CUSTOMERS_ERASE,
            roles.FOLLOW_UPS_WRITE,
        }


def test_a_reporting_client_only_reads() -> None:
    assert all(permission.endswith(".read") for permission in roles.GRANTS["ROLE_REPORTING_CLIENT"])


def test_the_sales_side_does_not_answer_its_own_surveys() -> None:
    submit = {role for role, granted in roles.GRANTS.items() if roles.SURVEYS_SUBMIT in granted}

    assert submit == {"ROLE_CARE_MANAGER", "ROLE_CARE_SPECIALIST"}
