"""The recipe of ``tiny-code``: a small diffusion language model that completes, infills and writes Python."""
