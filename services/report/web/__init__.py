"""The pages, their JSON twins and the event stream."""
