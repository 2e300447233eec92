"""What each role may do: the one table of roles and permissions, the same in every service (GRP-01, GRP-02).

A permission is named in the `(dealerloop.access)` option of a method. Where it holds (a store, the stores of a
region, the group) comes with the assignment of the role, not with the role.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CUSTOMERS_READ: Final = "sales.customers.read"
CUSTOMERS_REVEAL: Final = "sales.customers.reveal"
CUSTOMERS_ERASE: Final = "sales.customers.erase"
DELIVERIES_READ: Final = "sales.deliveries.read"
DELIVERIES_WRITE: Final = "sales.deliveries.write"
DELIVERIES_CANCEL: Final = "sales.deliveries.cancel"
DELIVERIES_IMPORT: Final = "sales.deliveries.import"
CORRECTIONS_READ: Final = "sales.corrections.read"
CORRECTIONS_WRITE: Final = "sales.corrections.write"
HANDOVERS_READ: Final = "sales.handovers.read"
HANDOVERS_WRITE: Final = "sales.handovers.write"
CADENCES_READ: Final = "care.cadences.read"
CADENCES_WRITE: Final = "care.cadences.write"
FOLLOW_UPS_READ: Final = "care.followUps.read"
FOLLOW_UPS_WRITE: Final = "care.followUps.write"
SURVEYS_READ: Final = "care.surveys.read"
SURVEYS_SUBMIT: Final = "care.surveys.submit"
COMPLAINTS_READ: Final = "care.complaints.read"
COMPLAINTS_OPEN: Final = "care.complaints.open"
COMPLAINTS_OPINION: Final = "care.complaints.opinion"
COMPLAINTS_REVIEW: Final = "care.complaints.review"
COMPLAINTS_DISPATCH: Final = "care.complaints.dispatch"
COMPLAINTS_CONTACT: Final = "care.complaints.contact"
COMPLAINTS_RETURN: Final = "care.complaints.return"
COMPLAINTS_CALL_BACK: Final = "care.complaints.callBack"
COMPLAINTS_SIGN: Final = "care.complaints.sign"
COMPLAINTS_ARCHIVE: Final = "care.complaints.archive"
COMPLAINTS_EXTEND: Final = "care.complaints.extend"
COMPLAINTS_PAUSE: Final = "care.complaints.pause"
COMPLAINTS_REOPEN: Final = "care.complaints.reopen"
VEHICLES_READ: Final = "aftersales.vehicles.read"
WARRANTY_DECIDE: Final = "aftersales.warranty.decide"
VISITS_READ: Final = "aftersales.visits.read"
VISITS_WRITE: Final = "aftersales.visits.write"
VISITS_IMPORT: Final = "aftersales.visits.import"
GRADES_READ: Final = "scoring.grades.read"
MODELS_READ: Final = "scoring.models.read"
MONTHS_CLOSE: Final = "scoring.months.close"
RESPONSES_READ: Final = "scoring.responses.read"
RESPONSES_EXCLUDE: Final = "scoring.responses.exclude"
STORES_READ: Final = "organisation.stores.read"
STORES_WRITE: Final = "organisation.stores.write"
CALENDARS_WRITE: Final = "organisation.calendars.write"
STAFF_READ: Final = "organisation.staff.read"
STAFF_WRITE: Final = "organisation.staff.write"
AUDIT_READ: Final = "organisation.audit.read"

PERMISSIONS: Final = frozenset(
    {
        *(CUSTOMERS_READ, CUSTOMERS_REVEAL, CUSTOMERS_ERASE),
        *(DELIVERIES_READ, DELIVERIES_WRITE, DELIVERIES_CANCEL, DELIVERIES_IMPORT),
        *(CORRECTIONS_READ, CORRECTIONS_WRITE, HANDOVERS_READ, HANDOVERS_WRITE),
        *(CADENCES_READ, CADENCES_WRITE, FOLLOW_UPS_READ, FOLLOW_UPS_WRITE, SURVEYS_READ, SURVEYS_SUBMIT),
        *(COMPLAINTS_READ, COMPLAINTS_OPEN, COMPLAINTS_OPINION, COMPLAINTS_REVIEW, COMPLAINTS_DISPATCH),
        *(COMPLAINTS_CONTACT, COMPLAINTS_RETURN, COMPLAINTS_CALL_BACK, COMPLAINTS_SIGN, COMPLAINTS_ARCHIVE),
        *(COMPLAINTS_EXTEND, COMPLAINTS_PAUSE, COMPLAINTS_REOPEN),
        *(VEHICLES_READ, WARRANTY_DECIDE, VISITS_READ, VISITS_WRITE, VISITS_IMPORT),
        *(GRADES_READ, MODELS_READ, MONTHS_CLOSE, RESPONSES_READ, RESPONSES_EXCLUDE),
        *(STORES_READ, STORES_WRITE, CALENDARS_WRITE, STAFF_READ, STAFF_WRITE, AUDIT_READ),
    }
)

# What is written about results: everyone whose pay or work depends on a grade may see it and how it is made.
_RESULTS: Final = frozenset({GRADES_READ, MODELS_READ})
# Making a call: the worklist, its templates and, through the follow-up, the one number that it needs.
_CALLS: Final = frozenset({FOLLOW_UPS_READ, FOLLOW_UPS_WRITE, CADENCES_READ})
# First asked, first responsible: whoever meets customers takes their complaint, and sees what becomes of it (CMP-1).
_FIRST_RECEIVER: Final = frozenset({COMPLAINTS_READ, COMPLAINTS_OPEN})
# Who handles a complaint speaks with the customer.
_HANDLING: Final = _FIRST_RECEIVER | {COMPLAINTS_CONTACT}
# A department's manager sends it to the responsible person and answers for what comes back (CMP-4, CMP-5). He also
# calls back where the GM names him as checker.
_DEPARTMENT: Final = _HANDLING | {COMPLAINTS_DISPATCH, COMPLAINTS_RETURN, COMPLAINTS_CALL_BACK, COMPLAINTS_PAUSE}
# Reading across stores: facts about cars, work and results; no customer files.
_OVERSIGHT: Final = frozenset(
    {
        *(DELIVERIES_READ, FOLLOW_UPS_READ, CADENCES_READ, SURVEYS_READ, VEHICLES_READ, VISITS_READ),
        *(STAFF_READ, AUDIT_READ, HANDOVERS_READ, COMPLAINTS_READ, RESPONSES_READ),
    }
)

_TABLE: Final[dict[str, frozenset[str]]] = {
    "ROLE_GENERAL_MANAGER": _OVERSIGHT
    | _RESULTS
    | _DEPARTMENT
    | {CUSTOMERS_READ, CUSTOMERS_REVEAL, CUSTOMERS_ERASE, DELIVERIES_WRITE, DELIVERIES_CANCEL, CALENDARS_WRITE}
    | {DELIVERIES_IMPORT, VISITS_IMPORT, CORRECTIONS_READ, CORRECTIONS_WRITE, HANDOVERS_WRITE}
    | {COMPLAINTS_REVIEW, COMPLAINTS_SIGN, COMPLAINTS_EXTEND, COMPLAINTS_REOPEN},
    "ROLE_SALES_MANAGER": _RESULTS
    | _DEPARTMENT
    | {DELIVERIES_IMPORT, CORRECTIONS_READ, CORRECTIONS_WRITE, HANDOVERS_READ, HANDOVERS_WRITE, RESPONSES_READ}
    | {CUSTOMERS_READ, CUSTOMERS_REVEAL, DELIVERIES_READ, DELIVERIES_WRITE, DELIVERIES_CANCEL}
    | {FOLLOW_UPS_READ, CADENCES_READ, SURVEYS_READ, VEHICLES_READ, STAFF_READ},
    "ROLE_SALES_CONSULTANT": _RESULTS
    | _CALLS
    | _HANDLING
    | {CUSTOMERS_READ, CUSTOMERS_REVEAL, DELIVERIES_READ, DELIVERIES_WRITE, VEHICLES_READ},
    "ROLE_INFORMATION_CLERK": _RESULTS
    | _CALLS
    | _FIRST_RECEIVER
    | {CUSTOMERS_READ, DELIVERIES_READ, DELIVERIES_WRITE, DELIVERIES_IMPORT}
    | {CORRECTIONS_READ, CORRECTIONS_WRITE, HANDOVERS_READ, HANDOVERS_WRITE},
    "ROLE_SHOWROOM_SUPERVISOR": _RESULTS
    | _FIRST_RECEIVER
    | {CUSTOMERS_READ, DELIVERIES_READ, DELIVERIES_WRITE, DELIVERIES_IMPORT, STAFF_READ, HANDOVERS_READ},
    "ROLE_CARE_MANAGER": _RESULTS
    | _CALLS
    | _DEPARTMENT
    | {COMPLAINTS_OPINION, COMPLAINTS_ARCHIVE, COMPLAINTS_REOPEN}
    | {DELIVERIES_IMPORT, CORRECTIONS_READ, HANDOVERS_READ, RESPONSES_READ}
    | {CUSTOMERS_READ, CUSTOMERS_REVEAL, DELIVERIES_READ, SURVEYS_READ, SURVEYS_SUBMIT}
    | {VEHICLES_READ, VISITS_READ, STAFF_READ},
    "ROLE_CARE_SPECIALIST": _RESULTS
    | _CALLS
    | _HANDLING
    | {COMPLAINTS_CALL_BACK, COMPLAINTS_ARCHIVE, CORRECTIONS_READ, HANDOVERS_READ}
    | {CUSTOMERS_READ, CUSTOMERS_REVEAL, DELIVERIES_READ, SURVEYS_READ, SURVEYS_SUBMIT, VEHICLES_READ, VISITS_READ},
    "ROLE_AFTERSALES_MANAGER": _RESULTS
    | _DEPARTMENT
    | {VISITS_IMPORT}
    | {CUSTOMERS_READ, FOLLOW_UPS_READ, CADENCES_READ, SURVEYS_READ}
    | {VEHICLES_READ, WARRANTY_DECIDE, VISITS_READ, VISITS_WRITE, STAFF_READ},
    "ROLE_SERVICE_ADVISOR": _HANDLING | {CUSTOMERS_READ, VEHICLES_READ, WARRANTY_DECIDE, VISITS_READ, VISITS_WRITE},
    "ROLE_SERVICE_DESK_SUPERVISOR": _FIRST_RECEIVER
    | {CUSTOMERS_READ, VEHICLES_READ, VISITS_READ, VISITS_WRITE, VISITS_IMPORT, STAFF_READ},
    "ROLE_TECHNICIAN": frozenset({VEHICLES_READ, VISITS_READ}),
    "ROLE_WARRANTY_CLERK": frozenset({VEHICLES_READ, WARRANTY_DECIDE, VISITS_READ}),
    "ROLE_PARTS_KEEPER": frozenset({VEHICLES_READ}),
    "ROLE_INSURANCE_SPECIALIST": _CALLS | _FIRST_RECEIVER | {CUSTOMERS_READ, DELIVERIES_READ, VEHICLES_READ},
    "ROLE_USED_CAR_APPRAISER": _FIRST_RECEIVER | {VEHICLES_READ, VISITS_READ},
    "ROLE_FINANCE_MANAGER": _RESULTS | _DEPARTMENT | {DELIVERIES_READ, VISITS_READ},
    "ROLE_PAYROLL": _RESULTS | {STAFF_READ},
    "ROLE_REGIONAL_MANAGER": _OVERSIGHT | _RESULTS,
    "ROLE_GROUP_QUALITY_MANAGER": _OVERSIGHT
    | _RESULTS
    | {CADENCES_WRITE, DELIVERIES_IMPORT, MONTHS_CLOSE, RESPONSES_EXCLUDE},
    "ROLE_REPORTING_CLIENT": _RESULTS,
    # He runs the system, not the business: no customer, no delivery, no reveal. He may bring the lists of the group in.
    "ROLE_ADMINISTRATOR": frozenset(
        {
            *(STORES_WRITE, CALENDARS_WRITE, STAFF_READ, STAFF_WRITE, AUDIT_READ),
            *(CADENCES_READ, CADENCES_WRITE, MODELS_READ, DELIVERIES_IMPORT),
        }
    ),
}

# Everyone may read the directory of the stores in his reach.
GRANTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {role: permissions | {STORES_READ} for role, permissions in _TABLE.items()}
)

# Where a role can be held. A role of a store's people is held store by store, also by someone who works for two.
GROUP_ROLES: Final = frozenset({"ROLE_GROUP_QUALITY_MANAGER", "ROLE_REPORTING_CLIENT", "ROLE_ADMINISTRATOR"})
REGION_ROLES: Final = frozenset({"ROLE_REGIONAL_MANAGER", "ROLE_REPORTING_CLIENT"})
STORE_ROLES: Final = frozenset(GRANTS) - {"ROLE_GROUP_QUALITY_MANAGER", "ROLE_REGIONAL_MANAGER"}
