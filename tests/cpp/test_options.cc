// The environment: what is understood, and the one line about what is not.
#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

const char kWords[] =
    "off, backward, all, or a comma list of activation, batch_norm, convolution, deconvolution, "
    "fully_connected, lrn, pooling, softmax, reorder, sum, concat, and forward to include the "
    "forward primitives of the listed operators";

struct Result {
  std::string err;
  std::string scope;
  bool active;
  double capacity;
};

}  // namespace

// Prints what the library made of its environment.
SCENE(settings) {
  Engine engine;
  call(engine.handle, kReluBackward, 4);
  const bool hit = primitives_made_by([&] { call(engine.handle, kReluBackward, 4); }) == 0;
  const Stats stats;
  printf("%s|%s|%s|%g", stats.text("scope").c_str(), stats.text("active").c_str(),
         hit ? "hit" : "miss", stats["capacity"]);
}

static void check_settings(const check::Environment &environment, const std::string &settings,
                           const std::string &err) {
  check::Environment all = {ASSUME};
  all.insert(all.end(), environment.begin(), environment.end());
  const check::Outcome outcome = check::run_scene("settings", all);
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.out, settings);
  CHECK_EQ(outcome.err, err);
}

TEST(defaults) {
  check_settings({}, "all|true|hit|4096", "");
  check_settings({"MKLDNN_OPCACHE=", "MKLDNN_OPCACHE_CAPACITY=", "MKLDNN_OPCACHE_STATS="},
                 "all|true|hit|4096", "");
}

TEST(scopes) {
  for (const char *scope : {"all", "backward", "activation", "activation,forward",
                            "lrn,activation,pooling", "activation,activation"}) {
    check_settings({std::string("MKLDNN_OPCACHE=") + scope}, std::string(scope) + "|true|hit|4096",
                   "");
  }
  for (const char *scope : {"lrn", "softmax,reorder,sum,concat"}) {
    check_settings({std::string("MKLDNN_OPCACHE=") + scope}, std::string(scope) + "|true|miss|4096",
                   "");
  }
  check_settings({"MKLDNN_OPCACHE=off"}, "off|false|miss|4096", "");
}

TEST(unknown_words_are_named) {
  const struct {
    std::string value, word;
  } kWrong[] = {
      {"bakward", "bakward"},
      {"activation,relu", "relu"},
      {"activation,", ""},
      {",activation", ""},
      {"activation, lrn", " lrn"},
      {"All", "All"},
      {"backward,activation", "backward"},
      {"off,lrn", "off"},
      {"activation;lrn", "activation;lrn"},
      {"1", "1"},
      {std::string(200, 'x'), std::string(63, 'x')},
  };
  for (const auto &wrong : kWrong) {
    check_settings({"MKLDNN_OPCACHE=" + wrong.value}, "off|false|miss|4096",
                   "opcache: MKLDNN_OPCACHE: unknown word '" + wrong.word +
                       "' (allowed: " + kWords + "); not caching\n");
  }
}

TEST(capacities) {
  check_settings({"MKLDNN_OPCACHE_CAPACITY=1"}, "all|true|miss|1", "");  // too few for one call
  check_settings({"MKLDNN_OPCACHE_CAPACITY=0010"}, "all|true|hit|10", "");
  check_settings({"MKLDNN_OPCACHE_CAPACITY=0"}, "all|false|miss|0", "");
  check_settings({"MKLDNN_OPCACHE_CAPACITY=1073741824"}, "all|true|hit|1.07374e+09", "");
}

TEST(wrong_capacities_are_named) {
  for (const char *wrong : {"-1", "x", "1x", "1.5", "1e3", "+1", "1 ", "0x10", "1073741825",
                            "99999999999999999999999", "lots"}) {
    const check::Outcome outcome =
        check::run_scene("settings", {ASSUME, std::string("MKLDNN_OPCACHE_CAPACITY=") + wrong});
    CHECK_EQ(outcome.out.substr(0, 14), "off|false|miss");
    CHECK_EQ(outcome.err, std::string("opcache: MKLDNN_OPCACHE_CAPACITY=") + wrong +
                              " is not a number from 0 to 1073741824; not caching\n");
  }
}

TEST(wrong_shadow_rates_are_named) {
  for (const char *wrong : {"-1", "x", "1x", "1.5", "+1", " 1", "0,5", "nan", "inf", ".5", "%"}) {
    check_settings({std::string("MKLDNN_OPCACHE_SHADOW=") + wrong}, "off|false|miss|4096",
                   std::string("opcache: MKLDNN_OPCACHE_SHADOW=") + wrong +
                       " is not a share from 0 to 1; not caching\n");
  }
  check_settings({"MKLDNN_OPCACHE_SHADOW=0"}, "all|true|hit|4096", "");
}

TEST(too_long_values_are_named) {
  check_settings({"MKLDNN_OPCACHE=" + std::string(256, 'x')}, "off|false|miss|4096",
                 "opcache: MKLDNN_OPCACHE is longer than 255 characters; not caching\n");
  check_settings({"MKLDNN_OPCACHE_STATS=" + std::string(1024, 'x')}, "off|false|miss|4096",
                 "opcache: MKLDNN_OPCACHE_STATS is longer than 1023 characters; not caching\n");
}

// Quotes in the scope end up in the report, which must stay JSON.
TEST(hostile_scope_is_quoted) {
  const check::Outcome outcome =
      check::run_scene("settings", {ASSUME, "MKLDNN_OPCACHE=all\",\"x\": \"\\\n"});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.out, "off|false|miss|4096");
}

TEST(every_wrong_variable_has_its_line) {
  const check::Outcome outcome =
      check::run_scene("settings", {ASSUME, "MKLDNN_OPCACHE=x", "MKLDNN_OPCACHE_CAPACITY=x"});
  CHECK_EQ(outcome.out.substr(0, 14), "off|false|miss");
  size_t lines = 0;
  for (char c : outcome.err) lines += c == '\n';
  CHECK_EQ(lines, 2);
}
