"""The gRPC edge of cadence templates."""

from __future__ import annotations

from customer_care.cadences.service import CadenceCatalogue
from customer_care.cadences.values import Anchor, OwnerRole, Step, StopCondition, TemplateVersion, Window
from dealerloop.customer_care.v1 import cadences_pb2 as pb
from kit.rpc import names
from kit.rpc.carry import carry, values
from kit.rpc.server import Call

_VERSION = "cadenceTemplates/{template}/versions/{version}"


class CadenceEdge:
    """Serves `CadenceService`."""

    def __init__(self, catalogue: CadenceCatalogue) -> None:
        self._catalogue = catalogue

    async def get_cadence_template_version(
        self, call: Call, request: pb.GetCadenceTemplateVersionRequest
    ) -> pb.CadenceTemplateVersion:
        """One version."""
        parts = names.parse(request.name, _VERSION)
        return to_message(await self._catalogue.get(call.session, parts["template"], int(parts["version"])))

    async def list_cadence_template_versions(
        self, call: Call, request: pb.ListCadenceTemplateVersionsRequest
    ) -> pb.ListCadenceTemplateVersionsResponse:
        """The versions of a template, newest first."""
        template = names.parse(request.parent, "cadenceTemplates/{template}", field="parent")["template"]
        versions, token = await self._catalogue.versions(call.session, template, request.page_size, request.page_token)
        return pb.ListCadenceTemplateVersionsResponse(
            cadence_template_versions=[to_message(version) for version in versions], next_page_token=token
        )

    async def create_cadence_template_version(
        self, call: Call, request: pb.CreateCadenceTemplateVersionRequest
    ) -> pb.CadenceTemplateVersion:
        """A new draft."""
        template = names.parse(request.parent, "cadenceTemplates/{template}", field="parent")["template"]
        steps = [step_of(step) for step in request.cadence_template_version.steps]
        return to_message(await self._catalogue.create(call.session, template, steps, call.now))

    async def publish_cadence_template_version(
        self, call: Call, request: pb.PublishCadenceTemplateVersionRequest
    ) -> pb.CadenceTemplateVersion:
        """A draft brought into force."""
        parts = names.parse(request.name, _VERSION)
        return to_message(await self._catalogue.publish(call.session, parts["template"], int(parts["version"])))


def to_message(version: TemplateVersion) -> pb.CadenceTemplateVersion:
    """The public form of a version."""
    steps = [carry(step, pb.CadenceStep) for step in version.steps]
    return carry(version, pb.CadenceTemplateVersion, steps=steps)


def step_of(message: pb.CadenceStep) -> Step:
    """The step that a message describes; `occurrences` is 1 when not set."""
    fields = values(message, "code", "owner_role", "repeat_days", "repeat_months", "questionnaire", "stop_condition")
    stop = fields.pop("stop_condition")
    return Step(
        **(fields | {"owner_role": OwnerRole(fields["owner_role"])}),
        window=_window(message.window),
        fallback_window=_window(message.fallback_window) if message.HasField("fallback_window") else None,
        occurrences=message.occurrences or 1,
        stop_condition=StopCondition(stop) if stop else None,
        titles=dict(message.titles),
        scripts=dict(message.scripts),
    )


def _window(message: pb.Window) -> Window:
    return Window(Anchor(pb.Anchor.Name(message.anchor).removeprefix("ANCHOR_")), message.first_day, message.last_day)
