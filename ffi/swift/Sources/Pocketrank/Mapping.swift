import Foundation

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The bytes of a file, mapped: Foundation may read a small one instead. Its length is where its end is, since `fstat` is one of
/// the calls that an app must give the store a reason for.
func map(_ url: URL) throws -> NSData {
  func failed() -> POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  let file = url.withUnsafeFileSystemRepresentation { path in path.map { open($0, O_RDONLY | O_CLOEXEC) } ?? -1 }
  guard file >= 0 else { throw failed() }
  defer { close(file) }
  let length = lseek(file, 0, SEEK_END)
  guard length >= 0 else { throw failed() }
  guard length > 0, let count = Int(exactly: length) else { throw PocketrankError(length == 0 ? .truncated : .badLength) }
  guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, file, 0), start != MAP_FAILED else { throw failed() }
  return NSData(bytesNoCopy: start, length: count) { start, count in munmap(start, count) }
}
