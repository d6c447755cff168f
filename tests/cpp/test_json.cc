// The tests' own JSON reader must refuse what is not JSON, or it proves nothing.
#include "check.h"
#include "json.h"

namespace {

bool parses(const std::string &text) {
  json::Document document;
  size_t error_at;
  return json::parse(text, &document, &error_at);
}

}  // namespace

TEST(accepts) {
  json::Document d;
  size_t at;
  CHECK(
      json::parse(R"( {"a": {"b": [1, -2.5e3, "x\"\\\u0041"]}, "c": true, "d": null} )", &d, &at));
  CHECK_EQ(d["a/b/0"].number, 1);
  CHECK_EQ(d["a/b/1"].number, -2500);
  CHECK_EQ(d["a/b/2"].text, "x\"\\A");
  CHECK_EQ(d["a/b"].number, 3);
  CHECK_EQ(d["c"].number, 1);
  CHECK_EQ(d["d"].text, "null");
  CHECK(parses("{}"));
}

TEST(refuses) {
  const char kWrong[] =
      "|{|{\"a\": 1,}|{\"a\" 1}|{a: 1}|[1 2]|{\"a\": 01}|{\"a\": 1.}|{\"a\": .5}|{\"a\": "
      "+1}|{\"a\": 1e}|{\"a\": \"x}|{\"a\": \"\n\"}|{\"a\": \"\\q\"}|{} {}|{\"a\": nan}|{\"a\": 1, "
      "\"a\": 2}|{\"a\": tru}|{\"a\": 1}x";
  for (const std::string &text : check::split(kWrong)) CHECK_TEXT(!parses(text), text);
}
