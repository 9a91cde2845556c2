import CPocketrank

/// A struct of the C library that begins with its size, by which the library tells what fields the app knows.
protocol Versioned {
  init()
  // swift-format-ignore: AlwaysUseLowerCamelCase
  var struct_size: UInt32 { get set }
}

extension Versioned {
  /// All fields 0 but the size.
  static func sized() -> Self {
    var made = Self()
    made.struct_size = UInt32(MemoryLayout<Self>.stride)
    return made
  }
}

extension pkr_column: Versioned {}
extension pkr_decay: Versioned {}
extension pkr_error_detail: Versioned {}
extension pkr_event: Versioned {}
extension pkr_feature_information: Versioned {}
extension pkr_formula_information: Versioned {}
extension pkr_key: Versioned {}
extension pkr_label_information: Versioned {}
extension pkr_list: Versioned {}
extension pkr_model_information: Versioned {}
extension pkr_open_options: Versioned {}
extension pkr_request: Versioned {}
extension pkr_requirements: Versioned {}
extension pkr_result: Versioned {}
extension pkr_rules: Versioned {}
extension pkr_spacing: Versioned {}
extension pkr_task_information: Versioned {}
extension pkr_term_information: Versioned {}
extension pkr_weight_information: Versioned {}
