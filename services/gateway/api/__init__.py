"""The public REST API, transcoded from the contracts: a new RPC needs no code here."""
