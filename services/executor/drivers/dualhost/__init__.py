"""Two machines, or one and a namespace of it, with a link between them: what tests of network drivers want."""
