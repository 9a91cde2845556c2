// swift-tools-version:6.0
import PackageDescription

let package = Package(
  name: "rank",
  platforms: [.macOS(.v11)],
  dependencies: [.package(path: "../../../ffi/swift")],
  targets: [.executableTarget(name: "rank", dependencies: [.product(name: "Pocketrank", package: "swift")])],
  swiftLanguageModes: [.v6]
)
