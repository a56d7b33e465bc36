"""Why a record's nonce is used up by a self-transfer, as its record has it. Beside these: what `wanted` says."""

from __future__ import annotations

#: A person cancelled it; records that end so are dead letters, not tried again by themselves.
OPERATOR = "operator"
#: No endpoint took the call, for good; its run is made anew.
REFUSED = "refused"
#: Nobody had that nonce, and signed ones above it waited.
GAP = "gap"
#: The workflow is not what was signed any more.
CHANGED = "changed"
