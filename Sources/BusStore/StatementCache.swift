// Prepared statements by their SQL: what is rare is prepared when it is first needed and kept.

/// The statements of one connection. Must be gone before the connection closes.
final class StatementCache {
    private let connection: OpaquePointer
    private var statements: [String: SQLStatement] = [:]

    init(_ connection: OpaquePointer) { self.connection = connection }

    /// The statement of this SQL, reset.
    func callAsFunction(_ sql: String) throws(StoreError) -> SQLStatement {
        if let known = statements[sql] { return known }
        let statement = try SQLStatement(connection, sql)
        statements[sql] = statement
        return statement
    }

    /// Finalizes all of them, wherever they are still held.
    func removeAll() {
        for statement in statements.values { statement.finalize() }
        statements.removeAll()
    }
}
