// swift-tools-version:6.0
import PackageDescription

// On a Mac the engine is the XCFramework that xcframework.sh makes; elsewhere the archive of ffi/build.sh, found by the linker
// (`swift build -Xlinker -L../../target/sdk`).
#if os(macOS)
let engine = Target.binaryTarget(name: "CPocketrank", path: "build/Pocketrank.xcframework")
#else
let engine = Target.systemLibrary(name: "CPocketrank")
#endif

var targets: [Target] = [
  engine,
  .target(name: "Pocketrank", dependencies: ["CPocketrank"], resources: [.copy("PrivacyInfo.xcprivacy")]),
  .testTarget(name: "PocketrankTests", dependencies: ["Pocketrank"]),
]
#if os(Linux)
// Counts allocations, by glibc's means.
targets += [
  .target(name: "CAllocations", path: "Tests/CAllocations"),
  .executableTarget(name: "Allocations", dependencies: ["CAllocations", "Pocketrank"], path: "Tests/Allocations"),
]
#endif

let package = Package(
  name: "Pocketrank",
  platforms: [.iOS(.v13), .macOS(.v11)],
  products: [.library(name: "Pocketrank", targets: ["Pocketrank"])],
  targets: targets,
  swiftLanguageModes: [.v6]
)
