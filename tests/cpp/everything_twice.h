// What is not recognised passes through: a scene for the tests of either interface.
#pragma once

#include "workload.h"

// Calls everything twice and prints the build-id of the report.
SCENE(everything_twice) {
  using namespace workload;
  {
    const Engine engine;
    for (int what = 0; what < kWhats; ++what) {
      for (const int first : {0, 10}) {
        CHECK_EQ(made_by_call(engine, static_cast<What>(what), 4, first), 1);
      }
    }
  }
  check_all_gone();
  const Stats stats;
  CHECK_EQ(stats["recognised"], 0);
  CHECK_EQ(stats["active"], 0);
  CHECK_EQ(stats["totals/primitives_avoided"], 0);
  CHECK_EQ(stats.text("mkldnn"), "unknown");
  printf("%s", stats.text("build_id").c_str());
}
