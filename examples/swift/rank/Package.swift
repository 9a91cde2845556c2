// swift-tools-version:6.0
import PackageDescription

let pocketrank = Target.Dependency.product(name: "Pocketrank", package: "swift")

let package = Package(
  name: "rank",
  platforms: [.iOS(.v17), .macOS(.v14)],
  dependencies: [.package(path: "../../../ffi/swift")],
  targets: [
    .executableTarget(name: "rank", dependencies: [pocketrank]),
    .target(name: "Feed", dependencies: [pocketrank]),
    .testTarget(name: "FeedTests", dependencies: ["Feed"]),
  ],
  swiftLanguageModes: [.v6]
)
