// The environment: what is understood, and the one line about what is not.
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "opcache.h"
#include "workload.h"

using namespace workload;

namespace {

const char kWords[] =
    "off, backward, all, or a comma list of activation, batch_norm, convolution, deconvolution, "
    "fully_connected, lrn, pooling, softmax, reorder, sum, concat, and forward to include the "
    "forward primitives of the listed operators";

const char kOff[] = "off|false|miss|4096";

const struct Variable {
  const char *name, *wrong;  // `wrong`: what a value is not
} kCapacity = {"MKLDNN_OPCACHE_CAPACITY=", " is not a number from 0 to 1073741824"},
  kMemory = {"MKLDNN_OPCACHE_MEMORY=",
             " is not a number of bytes such as 1048576, 64K, 512M or 2G"},
  kEstimate = {"MKLDNN_OPCACHE_MEMORY_ESTIMATE=", kMemory.wrong},
  kTrial = {"MKLDNN_OPCACHE_TRIAL=", kCapacity.wrong},
  kShadow = {"MKLDNN_OPCACHE_SHADOW=", " is not a share from 0 to 1"};

}  // namespace

// Prints what the library made of its environment.
SCENE(settings) {
  Engine engine;
  call(engine, kReluBackward, 4);
  const bool hit = made_by_call(engine, kReluBackward, 4) == 0;
  const Stats stats;
  printf("%s|%s|%s|%g", stats.text("scope").c_str(), stats.text("active").c_str(),
         hit ? "hit" : "miss", stats["capacity"]);
}

SCENE(memory) {
  Engine engine;
  call(engine, kReluBackward, 4);
  const Stats stats;
  printf("%s|%.17g", stats.text("active").c_str(), stats["memory/bound_bytes"]);
}

static void check_settings(const check::Environment &environment, const std::string &settings,
                           const std::string &err = "") {
  check::Environment all = {ASSUME};
  all.insert(all.end(), environment.begin(), environment.end());
  CHECK_EQ(check::run_well("settings", all, err), settings);
}

// The value is named, as `shown`, and nothing is cached.
static void check_wrong(const Variable &variable, const std::string &value,
                        const std::string &shown) {
  check_settings({variable.name + value}, kOff,
                 "opcache: " + (variable.name + shown) + variable.wrong + "; not caching\n");
}

// Of values with bars between them.
static void check_all_wrong(const Variable &variable, const char *values) {
  for (const std::string &value : check::split(values)) check_wrong(variable, value, value);
}

TEST(defaults) {
  check_settings({}, "all|true|hit|4096");
  check_settings({"MKLDNN_OPCACHE=", "MKLDNN_OPCACHE_CAPACITY=", "MKLDNN_OPCACHE_STATS="},
                 "all|true|hit|4096");
}

TEST(scopes) {
  for (const char *scope : {"all", "backward", "activation", "activation,forward",
                            "lrn,activation,pooling", "activation,activation"}) {
    check_settings({std::string("MKLDNN_OPCACHE=") + scope}, std::string(scope) + "|true|hit|4096");
  }
  for (const char *scope : {"lrn", "softmax,reorder,sum,concat"}) {
    check_settings({std::string("MKLDNN_OPCACHE=") + scope},
                   std::string(scope) + "|true|miss|4096");
  }
  check_settings({SCOPE("off")}, kOff);
}

TEST(unknown_words_are_named) {
  const auto check_named = [](const std::string &value, const std::string &word) {
    check_settings({"MKLDNN_OPCACHE=" + value}, kOff,
                   "opcache: MKLDNN_OPCACHE: unknown word '" + word + "' (allowed: " + kWords +
                       "); not caching\n");
  };
  for (const auto &wrong : kWrongScopes) check_named(wrong.text, wrong.word);
  check_named(std::string(200, 'x'), std::string(63, 'x'));
}

TEST(capacities) {
  check_settings({CAPACITY(1)}, "all|true|miss|1");  // too few for one call
  check_settings({CAPACITY(0010)}, "all|true|hit|10");
  check_settings({CAPACITY(0)}, "all|false|miss|0");
  check_settings({CAPACITY(1073741824)}, "all|true|hit|1.07374e+09");
}

TEST(wrong_capacities_are_named) {
  check_all_wrong(kCapacity, "-1|x|1x|1.5|1e3|+1|1 |0x10|1073741825|99999999999999999999999|lots");
}

TEST(wrong_trials_are_named) {
  check_all_wrong(kTrial, "-1|x|1x|1073741825");
  check_settings({TRIAL(1073741824)}, "all|true|hit|4096");
}

TEST(bounds_on_memory) {
  const struct {
    const char *text, *report;
  } kGood[] = {
      {"1", "true|1"},           {"64K", "true|65536"},   {"512M", "true|536870912"},
      {"2G", "true|2147483648"}, {"0064K", "true|65536"}, {"1048576G", "true|1125899906842624"},
      {"0", "false|0"},          {"0G", "false|0"}};
  for (const auto &good : kGood) {
    CHECK_EQ(check::run_well("memory", {ASSUME, std::string(kMemory.name) + good.text}),
             good.report);
  }
  check_settings({kMemory.name}, "all|true|hit|4096");
}

TEST(wrong_bounds_on_memory_are_named) {
  check_all_wrong(kMemory,
                  "-1|x|1x|1.5G|1e3|+1| 1|1 |1 M|0x10|K|1k|1KB|1MM|1T|1125899906842625|1048577G|"
                  "18446744073709551616|99999999999999999999G|lots|%s%n");
}

TEST(estimates_are_bounded_likewise) {
  check_all_wrong(kEstimate, "-1|x|1T");
  check_settings({ESTIMATE(0)}, "all|true|hit|4096");
}

TEST(wrong_shadow_rates_are_named) {
  check_all_wrong(kShadow, "-1|x|1x|1.5|+1| 1|0,5|nan|inf|.5|%|0x1|0x0.8p0|1e-400x|0 ");
  check_settings({SHADOW(0)}, "all|true|hit|4096");
}

TEST(too_long_values_are_named) {
  check_settings({"MKLDNN_OPCACHE=" + std::string(256, 'x')}, kOff,
                 "opcache: MKLDNN_OPCACHE is longer than 255 characters; not caching\n");
  check_settings({"MKLDNN_OPCACHE_STATS=" + std::string(1024, 'x')}, kOff,
                 "opcache: MKLDNN_OPCACHE_STATS is longer than 1023 characters; not caching\n");
}

TEST(long_values_are_shown_in_short) {
  const std::string much(1 << 16, '7'), shown(60, '7');
  for (const auto &variable : {kCapacity, kMemory, kShadow}) check_wrong(variable, much, shown);
}

// A line that a terminal or a log would take for two, or obey, or not be able to read.
TEST(what_does_not_show_is_replaced) {
  const struct {
    std::string value, shown;
  } kValues[] = {
      {"a\nb", "a?b"},
      {"\x1b[2J\x7f", "?[2J?"},
      {"z\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "z\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"},
      {"\xff\xfe", "??"},
      {"\xc3(", "?("},
      {"\xc2\x9b\x31m", "??1m"},          // U+009B opens a control sequence
      {"\xed\xa0\x80\xc0\x80", "?????"},  // a surrogate, and a NUL in two bytes
      {"\xf4\x90\x80\x80\xe2\x82", "??????"},
  };
  for (const auto &each : kValues) check_wrong(kShadow, each.value, each.shown);
}

SCENE(report_in_german) {
  REQUIRE(setlocale(LC_ALL, "de_DE.UTF-8") != nullptr);
  char number[8];
  snprintf(number, sizeof(number), "%g", 0.5);
  CHECK_EQ(std::string(number), "0,5");
  char report[1 << 14];
  REQUIRE(mkldnn_opcache_stats_json(report, sizeof(report)) < sizeof(report));
  printf("%s", strstr(report, "\"rate\": 0.5,") != nullptr ? "as everywhere" : report);
}

TEST(locale_changes_no_number) {
  Folder folder;
  const std::string made = folder.path + "/de_DE.UTF-8";
  const std::string make = "localedef -i de_DE -f UTF-8 " + made + " 2>/dev/null";
  if (system(make.c_str()) != 0) {
    printf("locale_changes_no_number: skipped, localedef cannot make de_DE.UTF-8\n");
    return;
  }
  CHECK_EQ(check::run_well("report_in_german", {ASSUME, "LOCPATH=" + folder.path, SHADOW(0.5)}),
           "as everywhere");
  CHECK_EQ(system(("rm -r " + made).c_str()), 0);
}

// Quotes in the scope end up in the report, which must stay JSON.
TEST(hostile_scope_is_quoted) {
  const check::Outcome outcome =
      check::run_scene("settings", {ASSUME, "MKLDNN_OPCACHE=all\",\"x\": \"\\\n"});
  CHECK_EQ(outcome.exit_code, 0);
  CHECK_EQ(outcome.out, kOff);
}

TEST(every_wrong_variable_has_its_line) {
  const check::Outcome outcome = check::run_scene("settings", {ASSUME, SCOPE("x"), CAPACITY(x)});
  CHECK_EQ(outcome.out.substr(0, 14), "off|false|miss");
  size_t lines = 0;
  for (char c : outcome.err) lines += c == '\n';
  CHECK_EQ(lines, 2);
}
