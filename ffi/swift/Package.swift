// swift-tools-version:6.0
import PackageDescription

// On a Mac the engine is the XCFramework that xcframework.sh makes; elsewhere the archive of ffi/build.sh, found by the linker
// (`swift build -Xlinker -L../../target/sdk`).
#if os(macOS)
let engine = Target.binaryTarget(name: "CPocketrank", path: "build/Pocketrank.xcframework")
#else
let engine = Target.systemLibrary(name: "CPocketrank")
#endif

let package = Package(
  name: "Pocketrank",
  platforms: [.iOS(.v13), .macOS(.v11)],
  products: [.library(name: "Pocketrank", targets: ["Pocketrank"])],
  targets: [
    engine,
    .target(name: "Pocketrank", dependencies: ["CPocketrank"], resources: [.copy("PrivacyInfo.xcprivacy")]),
    .testTarget(name: "PocketrankTests", dependencies: ["Pocketrank"]),
  ],
  swiftLanguageModes: [.v6]
)
