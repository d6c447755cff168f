// The tests' own JSON reader must refuse what is not JSON, or it proves nothing.
#include "check.h"
#include "stats.h"

namespace {

bool parses(const std::string &text) {
  json::Document document;
  return json::Parser(text, &document).whole();
}

}  // namespace

TEST(accepts) {
  const Stats d(R"( {"a": {"b": [1, -2.5e3, "x\"\\\u0041"]}, "c": true, "d": null} )");
  CHECK_EQ(d["a/b/0"], 1);
  CHECK_EQ(d["a/b/1"], -2500);
  CHECK_EQ(d.text("a/b/2"), "x\"\\A");
  CHECK_EQ(d["a/b"], 3);
  CHECK_EQ(d["c"], 1);
  CHECK_EQ(d.text("d"), "null");
  CHECK(parses("{}"));
}

TEST(refuses) {
  const char kWrong[] =
      "|{|{\"a\": 1,}|{\"a\" 1}|{a: 1}|[1 2]|{\"a\": 01}|{\"a\": 1.}|{\"a\": .5}|{\"a\": "
      "+1}|{\"a\": 1e}|{\"a\": \"x}|{\"a\": \"\n\"}|{\"a\": \"\\q\"}|{} {}|{\"a\": nan}|{\"a\": 1, "
      "\"a\": 2}|{\"a\": tru}|{\"a\": 1}x";
  for (const std::string &text : check::split(kWrong)) CHECK_TEXT(!parses(text), text);
}
