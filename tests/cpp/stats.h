// The library's statistics, as it reports them now or as a file has them. Read strictly (RFC 8259,
// but for the range of numbers) and flattened: the members of objects are found by their path, as
// in "operators/reorder/create_ns".
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <map>
#include <string>

#include "opcache.h"

namespace json {

struct Value {
  std::string text;
  double number;  // a bool is 0 or 1; objects and arrays: how many members
};

typedef std::map<std::string, Value> Document;

class Parser {
 public:
  Parser(const std::string &text, Document *document) : text_(text), document_(document) {}
  // Whether all of the text is one value.
  bool whole() { return value("") && at_ == text_.size(); }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(const char *one_of) {
    const bool found = peek() != '\0' && strchr(one_of, peek()) != nullptr;
    at_ += found;
    return found;
  }
  bool take_all(const char *of) {
    const size_t start = at_;
    while (take(of)) continue;
    return at_ > start;
  }
  bool digits() { return take_all("0123456789"); }
  void space() { take_all(" \t\r\n"); }
  // False for a name that occurs twice in one object.
  bool store(const std::string &path, const std::string &text, double number) {
    return document_->emplace(path, Value{text, number}).second;
  }

  bool string(std::string *out) {
    if (!take("\"")) return false;
    while (!take("\"")) {
      static const char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
      if (static_cast<unsigned char>(peek()) < 0x20) return false;
      if (!take("\\")) {
        *out += text_[at_++];
      } else if (take(kFrom)) {
        *out += kTo[strchr(kFrom, text_[at_ - 1]) - kFrom];
      } else {
        const std::string hex = text_.substr(at_, 5);
        if (hex.size() < 5 || hex[0] != 'u' || hex.find_first_not_of(kHex, 1) != hex.npos) {
          return false;
        }
        *out += static_cast<char>(strtol(&hex[1], nullptr, 16));  // the tests write ASCII only
        at_ += 5;
      }
    }
    return true;
  }

  bool number(const std::string &path) {
    const size_t start = at_;
    take("-");
    if ((!take("0") && !digits()) || (take(".") && !digits())) return false;
    if (take("eE") && (take("+-"), !digits())) return false;
    const std::string text = text_.substr(start, at_ - start);
    return store(path, text, strtod(text.c_str(), nullptr));
  }

  // Of an object, or of an array, after what opens it.
  bool members(const std::string &path, const char *close, bool named) {
    int count = 0;
    space();
    if (!take(close)) {
      do {
        std::string name = named ? "" : std::to_string(count);
        space();
        if (named && (!string(&name) || (space(), !take(":")))) return false;
        if (!value(path.empty() ? name : path + "/" + name)) return false;
        ++count;
      } while (take(","));
      if (!take(close)) return false;
    }
    return path.empty() || store(path, "", count);
  }

  bool value(const std::string &path) {
    if (++depth_ > 100) return false;
    space();
    bool ok = false;
    std::string text;
    if (take("{")) {
      ok = members(path, "}", true);
    } else if (take("[")) {
      ok = members(path, "]", false);
    } else if (peek() == '"') {
      ok = string(&text) && store(path, text, 0);
    } else if (peek() >= 'a') {
      for (const char *word : {"true", "false", "null"}) {
        if (text_.compare(at_, strlen(word), word) != 0) continue;
        at_ += strlen(word);
        ok = store(path, word, *word == 't');
      }
    } else {
      ok = number(path);
    }
    space();
    --depth_;
    return ok;
  }

  static constexpr const char *kHex = "0123456789abcdefABCDEF";
  const std::string &text_;
  Document *document_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace json

// Ends the process when it is not JSON.
class Stats {
 public:
  Stats() : Stats(report()) {}
  explicit Stats(const std::string &text) {
    if (json::Parser(text, &document).whole()) return;
    fprintf(stderr, "not JSON: %s\n", text.c_str());
    abort();
  }
  // By their path; 0 where absent.
  double operator[](const std::string &path) const {
    return has(path) ? document.at(path).number : 0;
  }
  std::string text(const std::string &path) const {
    return has(path) ? document.at(path).text : "";
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
