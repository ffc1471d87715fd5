"""The JSON Schema of the chart's values: what ``helm install`` refuses before anything is made."""
