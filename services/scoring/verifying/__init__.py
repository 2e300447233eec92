"""Computing every figure anew from the responses, and comparing digit by digit."""
