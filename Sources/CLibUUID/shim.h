// The door to libuuid (package uuid-dev). Only BusWire/UUID+LibUUID.swift walks through it.
#include <uuid/uuid.h>
