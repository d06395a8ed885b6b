// An application imports BusClient alone: topics, UUIDs, headers and shared bytes come with it.

@_exported public import BusWire
