// A model file without a copy: mapped on POSIX systems, read elsewhere. Not part of pocketrank.hpp, since it includes the
// system's headers.
#ifndef POCKETRANK_FILE_HPP
#define POCKETRANK_FILE_HPP

#include "span.hpp"

#include <cstdint>
#include <memory>
#include <optional>

#if defined(__unix__) || defined(__APPLE__)
#define PKR_CPP_MAPS 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define PKR_CPP_MAPS 0
#include <cstdio>
#include <vector>
#endif

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// The bytes of a file, and who keeps them: `model::open(file.bytes, file.owner)`. A file that is mapped must not be written to:
/// replace it by renaming another one over it (docs/hot-swap.md).
struct mapped_file {
  span<const std::uint8_t> bytes;
  std::shared_ptr<const void> owner;

  /// Nothing if it cannot; errno says why.
  static std::optional<mapped_file> open(const char* path) {
#if PKR_CPP_MAPS
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    struct stat about;
    if (::fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return ::close(file), std::nullopt;
    if (about.st_size == 0) return ::close(file), mapped_file{};
    const auto size = static_cast<std::size_t>(about.st_size);
    void* const at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    ::close(file);
    if (at == MAP_FAILED) return std::nullopt;
    return mapped_file{{static_cast<const std::uint8_t*>(at), size},
                       std::shared_ptr<const void>(at, [size](const void* it) { ::munmap(const_cast<void*>(it), size); })};
#else
    std::FILE* const file = std::fopen(path, "rb");
    if (file == nullptr) return std::nullopt;
    const auto bytes = std::make_shared<std::vector<std::uint8_t>>();
    std::uint8_t part[65536];
    for (std::size_t got; (got = std::fread(part, 1, sizeof part, file)) > 0;) bytes->insert(bytes->end(), part, part + got);
    const bool whole = std::ferror(file) == 0;
    std::fclose(file);
    if (!whole) return std::nullopt;
    return mapped_file{*bytes, bytes};
#endif
  }
};

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif
