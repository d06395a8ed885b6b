// Tests of the project itself import BusTesting alone: the bus that users' tests start comes with it.

@_exported public import BusTestKit
