"""Which data: manifests, commits, refs, rebase, diff."""

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.versioning: the repository root on sys.path gives a second copy")
