"""How long what is done with stays in Redis."""

#: How long a settled or skipped record stays readable, seconds. The workflow's watermark stays for ever.
SETTLED_KEPT_SECONDS = 30 * 24 * 3600
#: About how many entries the history stream keeps.
HISTORY_LENGTH = 10_000
#: The same for a run whose condition had ceased: a price about its threshold may cause one with every pass.
CEASED_KEPT_SECONDS = 3600
