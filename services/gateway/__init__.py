"""The gateway: the organisation, sign-in, the audit trail, the public API and its pages."""
