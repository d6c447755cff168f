// A strict JSON reader (RFC 8259, but for the range of numbers), flattened: the members of objects
// are found by their path, as in "operators/reorder/create_ns".
#ifndef OPCACHE_TESTS_JSON_H_
#define OPCACHE_TESTS_JSON_H_

#include <map>
#include <string>

namespace json {

struct Value {
  std::string text;
  double number;  // a bool is 0 or 1; objects and arrays: how many members
};

typedef std::map<std::string, Value> Document;

// Returns false, with the offset of what is wrong in *error_at, unless the whole text is one value.
bool parse(const std::string &text, Document *document, size_t *error_at);

}  // namespace json

#endif  // OPCACHE_TESTS_JSON_H_
