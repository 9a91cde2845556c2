import CPocketrank

#if canImport(Darwin)
import Darwin
#endif

/// Instruction set of a model's arithmetic. Scores are the same bits with each.
public enum CPU: UInt32, Sendable {
  /// The best one that the library can tell by itself: on aarch64 plain NEON.
  case auto = 0
  /// Plain code that every CPU runs.
  case portable = 1
  /// Dot products of FEAT_DotProd: iPhones from A11's successors on. On a CPU without them the first request ends the process.
  case neonDotprod = 2
  /// Products of matrices of FEAT_I8MM: A15, M2 and later. On a CPU without them the first request ends the process.
  case neonI8mm = 3

  /// What this CPU has, the best first, by the bits that the system answers when it is asked. The library links to no system
  /// library and cannot ask.
  static var found: [CPU] {
    #if arch(arm64)
    ladder(isARM64: true, has: systemHas)
    #else
    ladder(isARM64: false, has: systemHas)
    #endif
  }

  /// Code for x86-64 that a translator runs on an arm64 Mac is told of the Mac's bits: they are not about it.
  static func ladder(isARM64: Bool, has: (String) -> Bool) -> [CPU] {
    let optional: [(CPU, String)] = isARM64 ? [(.neonI8mm, "FEAT_I8MM"), (.neonDotprod, "FEAT_DotProd")] : []
    return optional.filter { has("hw.optional.arm." + $0.1) }.map(\.0) + [.auto]
  }

  private static func systemHas(_ name: String) -> Bool {
    #if canImport(Darwin)
    var value: Int32 = 0
    var bytes = MemoryLayout.size(ofValue: value)
    return sysctlbyname(name, &value, &bytes, nil, 0) == 0 && value == 1
    #else
    // Linux is where this package is tested, not where it ships.
    return false
    #endif
  }
}

/// The C library that is linked.
public enum Library {
  /// Its version, as "0.1.0".
  public static var version: String { String(cString: pkr_version()) }
  /// Version of its ABI. Opening a model fails with ``Status/structSize`` if it is older than the header of this package.
  public static var abiVersion: Int { Int(pkr_abi_version()) }
}
