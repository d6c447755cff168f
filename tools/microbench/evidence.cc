#include "evidence.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "fail.h"

namespace microbench {

namespace {

// The value of a number, word or string without commas in the cache library's report, which is
// always spaced alike.
std::string field(const std::string &report, const char *name, size_t from = 0) {
  const std::string label = std::string("\"") + name + "\": ";
  const size_t at = report.find(label, from);
  if (at == std::string::npos) fail("the cache's report has no %s", name);
  const size_t start = at + label.size();
  return report.substr(start, report.find_first_of(",}", start) - start);
}

void check(const std::string &report, const char *name, const std::string &expected) {
  const std::string found = field(report, name);
  if (found != expected) {
    fail("%s: expected %s, found %s", name, expected.c_str(), found.c_str());
  }
}

std::string quoted(const std::string &text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + "\"";
}

int add_library(struct dl_phdr_info *info, size_t, void *names) {
  const char *slash = strrchr(info->dlpi_name, '/');
  const char *file = slash != nullptr ? slash + 1 : info->dlpi_name;
  if (strncmp(file, "libmkldnn", strlen("libmkldnn")) == 0) {
    static_cast<std::vector<std::string> *>(names)->push_back(info->dlpi_name);
  }
  return 0;
}

}  // namespace

Evidence::Evidence(const std::string &variant, const char *release)
    : variant_(variant),
      stats_json_(reinterpret_cast<StatsJson>(dlsym(RTLD_DEFAULT, "mkldnn_opcache_stats_json"))) {
  const char *const found = stats_json_ != nullptr ? "it" : "none";
  if ((variant == "stock") != (stats_json_ == nullptr)) {
    fail("variant %s: expected %s libmkldnn_opcache.so, found %s", variant.c_str(),
         variant == "stock" ? "no" : "the", found);
  }
  if (stats_json_ == nullptr) return;
  const std::string now = report();
  check(now, "mkldnn", quoted(release));
  check(now, "scope", quoted(variant));
  check(now, "active", variant == "off" ? "false" : "true");
}

std::string Evidence::report() const {
  std::vector<char> text(1);
  for (;;) {
    const size_t needed = stats_json_(text.data(), text.size());
    if (needed < text.size()) return text.data();
    text.resize(needed + 1);
  }
}

std::string Evidence::json() const { return stats_json_ != nullptr ? report() : "null"; }

Counts Evidence::counts() const {
  if (stats_json_ == nullptr) return Counts();
  const std::string now = report();
  const size_t totals = now.find("\"totals\"");
  const Counts counts = {strtoull(field(now, "primitives_avoided", totals).c_str(), nullptr, 10),
                         strtoull(field(now, "primitives_created", totals).c_str(), nullptr, 10)};
  return counts;
}

void Evidence::expect(const Counts &before, uint64_t avoided, uint64_t created,
                      const char *what) const {
  if (stats_json_ == nullptr) return;
  const Counts now = counts();
  const uint64_t found_avoided = now.avoided - before.avoided;
  const uint64_t found_created = now.created - before.created;
  if (found_avoided != avoided || found_created != created) {
    fail("%s: expected %llu primitives avoided and %llu created, found %llu and %llu", what,
         static_cast<unsigned long long>(avoided), static_cast<unsigned long long>(created),
         static_cast<unsigned long long>(found_avoided),
         static_cast<unsigned long long>(found_created));
  }
}

void Evidence::expect_calls(const Counts &before, uint64_t calls, const char *what) const {
  expect(before, caches() ? calls - 1 : 0, caches() ? 1 : calls, what);
}

std::string libraries_json() {
  std::vector<std::string> names;
  dl_iterate_phdr(add_library, &names);
  std::string json = "[";
  for (const std::string &name : names) json += (json.size() > 1 ? ", " : "") + quoted(name);
  return json + "]";
}

}  // namespace microbench
