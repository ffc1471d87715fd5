"""The Responses API: its bodies, its objects and the events of its streams."""
