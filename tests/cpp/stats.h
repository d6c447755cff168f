// The library's statistics, as it reports them now or as a file has them.
#pragma once

#include <string>

#include "check.h"
#include "json.h"
#include "opcache.h"

class Stats {
 public:
  Stats() : Stats(report()) {}
  explicit Stats(const std::string &text) {
    size_t error_at;
    CHECK_TEXT(json::parse(text, &document, &error_at), "at " << error_at << " of " << text);
  }
  // By their path; 0 where absent.
  double operator[](const std::string &path) const {
    const auto found = document.find(path);
    return found != document.end() ? found->second.number : 0;
  }
  std::string text(const std::string &path) const {
    const auto found = document.find(path);
    return found != document.end() ? found->second.text : "";
  }
  bool has(const std::string &path) const { return document.count(path) != 0; }
  json::Document document;

 private:
  static std::string report() {
    std::string text;
    size_t needed = mkldnn_opcache_stats_json(nullptr, 0);
    // Other threads may count on meanwhile.
    while (needed >= text.size()) {
      text.resize(needed + 100);
      needed = mkldnn_opcache_stats_json(&text[0], text.size());
    }
    text.resize(needed);
    return text;
  }
};
