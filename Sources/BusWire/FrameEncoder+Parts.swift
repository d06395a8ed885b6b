// How each frame's fixed part is written; the mirror of FrameDecoder+Parts.swift.

extension Hello {
    func putFixed(_ out: inout [UInt8]) {
        precondition(publicKey.count == 32 && nonce.count == 32, "made by our own handshake with 32 bytes each")
        out.append(contentsOf: protocolMagic)
        out.put(versionMin)
        out.put(versionMax)
        out.append(contentsOf: publicKey)
        out.append(contentsOf: nonce)
    }
}

extension Welcome {
    func putFixed(_ out: inout [UInt8]) {
        precondition(publicKey.count == 32 && nonce.count == 32, "made by our own handshake with 32 bytes each")
        out.append(contentsOf: protocolMagic)
        out.put(version)
        out.put(UInt16(0))
        out.append(contentsOf: publicKey)
        out.append(contentsOf: nonce)
        out.put(incarnation)
        out.put(session)
        out.put(frameLengthMax)
        out.put(payloadLengthMax)
        out.put(publishWindow)
    }
}

extension ErrorFrame {
    func putFixed(_ out: inout [UInt8]) {
        out.put(reason.rawValue)
        out.put(inReplyTo)
        out.put(UInt8(isFatal ? 1 : 0))
        out.put(UInt32(0))
        out.put(request)
    }
}

extension SealOpened {
    func putFixed(_ out: inout [UInt8]) {
        out.put(request)
        out.put(epoch)
        out.put(seal)
        out.put(batchLengthMax)
        out.put(batchEventCountMax)
        out.put(grantIncarnation)
        out.put(grantCounter)
    }
}

extension Receipt {
    func put(_ out: inout [UInt8]) {
        out.put(number)
        out.put(firstSequence)
        out.put(eventCount)
        out.put(liveMatches)
        out.put(durableMatches)
        out.put(
            (isDurable ? Receipt.durableFlag : 0) | (isDuplicate ? Receipt.duplicateFlag : 0)
                | (isScheduled ? Receipt.scheduledFlag : 0))
        out.put(responders)
    }
}

extension Subscribe {
    func putFixed(_ out: inout [UInt8]) {
        out.put(subscription)
        out.put(overflow)
        out.put(UInt8(0))
        out.put(UInt16(0))
        out.put(stallMilliseconds)
        out.put(queueEventCount)
        out.put(queueLength)
        out.put(creditEvents)
        out.put(creditBytes)
    }
}

extension Subscribe {
    func putFields(_ out: inout [UInt8]) {
        out.putField(.filter, required: true, filter)
        if !group.isEmpty { out.putField(.group, required: true, group) }
        if !mode.isEmpty { out.putField(.mode, required: true, number: mode.rawValue) }
        if !durableName.isEmpty { out.putField(.durableName, required: true, durableName) }
        if let start { out.putField(.start, required: true, start.bytes) }
        out.putFields(settings)
    }
}

extension Settle {
    func putFixed(_ out: inout [UInt8]) {
        out.put(subscription)
        out.put(settlement)
        out.append(contentsOf: repeatElement(0, count: 3))
        out.put(delivery)
        out.put(delayMilliseconds)
        out.put(UInt32(0))
    }
}

extension Administer {
    func putFields(_ out: inout [UInt8]) {
        out.putField(.key, required: true, key, lengthMax: Limits.keyLengthMax)
        if !filter.isEmpty { out.putField(.filter, required: true, filter) }
        if !mode.isEmpty { out.putField(.mode, required: true, number: mode.rawValue) }
        if let start { out.putField(.start, required: true, start.bytes) }
        out.putFields(settings)
    }
}

extension Unsubscribed {
    func putFixed(_ out: inout [UInt8]) {
        out.put(subscription)
        out.put(reason.rawValue)
        out.put(UInt16(0))
        out.put(deliveredCount)
        out.put(missedCount)
    }
}

extension Announcement {
    func putFixed(_ out: inout [UInt8]) {
        precondition(salt.count == 32 && keyCheck.count == 16, "both were read or made with these lengths")
        out.put(seal)
        out.put(epoch)
        out.put(uid)
        out.put(gid)
        out.append(contentsOf: salt)
        out.append(contentsOf: keyCheck)
    }
}

extension Deliver {
    @inline(__always)
    func putFixed(_ out: inout [UInt8]) {
        out.put(subscription)
        out.put(attempt)
        out.put(UInt16(0))
        out.put(delivery)
        out.put(firstSequence)
        out.put(time)
        out.put(UInt32(selection.count))
    }
}

extension Gap {
    func putFixed(_ out: inout [UInt8]) {
        out.put(subscription)
        out.put(reason.rawValue)
        out.put(count == nil ? Gap.unknownCountFlag : 0)
        out.put(count ?? 0)
        out.put(firstSequence)
        out.put(lastSequence)
    }
}

extension Inspected {
    func putRows(_ out: inout [UInt8]) {
        for row in rows {
            out.putField(.row, EmptyCollection())
            for value in row {
                let name = value.name.utf8.prefix(Limits.nameLengthMax)
                switch value.value {
                case .number(let number):
                    var bytes = [UInt8(name.count)] + Array(name)
                    bytes.put(number)
                    out.putField(.number, bytes)
                case .text(let text):
                    out.putField(.text, [UInt8(name.count)] + Array(name) + Array(text.utf8))
                }
            }
        }
    }
}
