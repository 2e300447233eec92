"""Which path brings which list to which service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from dealerloop.aftersales.v1 import imports_pb2 as aftersales
from dealerloop.sales.v1 import imports_pb2 as sales
from kit.rpc.access import AccessRule, method_name, rule_of

_STORE: Final = "{store}"


@dataclass(frozen=True)
class Upload:
    """One kind of list: `mappings` is the collection of its kept mappings, `what` the list in words."""

    path: str
    contract: ServiceDescriptor
    mappings: str
    what: str

    @cached_property
    def service(self) -> str:
        """The service that takes it: `sales` of `dealerloop.sales.v1`."""
        return str(self.contract.full_name.split(".")[1])

    @property
    def of_store(self) -> bool:
        """Whether the list is one store's, else the whole group's."""
        return _STORE in self.path

    @cached_property
    def rule(self) -> AccessRule:
        """Who may bring it."""
        return rule_of(self.method("CreateImport"))

    def parent(self, store: str) -> str:
        """The parent of its imports."""
        return f"stores/{store}" if self.of_store else ""

    def mapping_name(self, parent: str, given: str) -> str:
        """The full name of a kept mapping that was given by its short or by its full name."""
        if "/" in given:
            return given
        return f"{parent}/{self.mappings}/{given}" if parent else f"{self.mappings}/{given}"

    def rpc(self, name: str) -> str:
        """The path of one of its RPCs, for a peer."""
        return method_name(self.method(name))

    def method(self, name: str) -> MethodDescriptor:
        """One of its RPCs."""
        return self.contract.methods_by_name[name]


def _upload(contract: ServiceDescriptor, path: str, mappings: str, what: str) -> Upload:
    return Upload(f"/v1/{path}:import", contract, mappings, what)


_SALES = sales.DESCRIPTOR.services_by_name
_AFTERSALES = aftersales.DESCRIPTOR.services_by_name
UPLOADS: Final = (
    _upload(_SALES["DeliveryImportService"], "stores/{store}/deliveries", "deliveryMappings", "deliveries"),
    _upload(_SALES["GroupDeliveryImportService"], "deliveries", "deliveryMappings", "deliveries"),
    _upload(_SALES["CustomerImportService"], "stores/{store}/customers", "customerMappings", "customers"),
    _upload(_SALES["GroupCustomerImportService"], "customers", "customerMappings", "customers"),
    _upload(_AFTERSALES["VisitImportService"], "stores/{store}/workshopVisits", "visitMappings", "workshop visits"),
)
_PATHS: Final = re.compile("|".join(re.escape(each.path).replace(r"\{store\}", "[^/]+") for each in UPLOADS))


def is_upload(path: str) -> bool:
    """Whether a path takes a file, which may be larger than any other body."""
    return _PATHS.fullmatch(path) is not None
