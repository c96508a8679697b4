"""How a chapter becomes a program (`make script`): without the cells that show an error."""

c = get_config()  # noqa: F821, given by nbconvert
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {"raises-exception"}
