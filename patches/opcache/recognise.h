// Which of an interface's releases the loaded MKL-DNN is.
#ifndef OPCACHE_RECOGNISE_H_
#define OPCACHE_RECOGNISE_H_

#include <stdio.h>
#include <string.h>

#include "in_tree.h"
#include "library.h"
#include "report/message.h"
#include "settings/options.h"

namespace opcache {

// By build-id; for an MKL-DNN that the user built, by MKLDNN_OPCACHE_ASSUME; inside MXNet's tree by
// `is`, which asks the headers, those of the MKL-DNN that libmxnet.so links, or that MKL-DNN.
// nullptr: it is none of the `known` ones, which one line on stderr says.
template <class Release, size_t n>
const Release *recognise(const Library &found, const Release (&known)[n],
                         bool (*is)(const Release &)) {
  for (const Release &release : known) {
    if (strcmp(release.build_id, found.build_id) == 0) return &release;
  }
  const char *const assumed = environment("MKLDNN_OPCACHE_ASSUME");
  for (const Release &release : known) {
    if (assumed != nullptr && strcmp(release.version, assumed) == 0) return &release;
    if (kInTree && assumed == nullptr && is(release)) return &release;
  }
  char names[64] = "";
  for (size_t i = 0; i < n; ++i) {
    snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i > 0 ? ", " : "",
             known[i].version);
  }
  if (assumed != nullptr) {
    message("MKLDNN_OPCACHE_ASSUME=%.60s is not a release this library knows (%s); not caching",
            assumed, names);
  } else {
    message(
        "%s with build-id '%s' is not one this library knows (%s as released with MXNet); not "
        "caching. If it was built from one of these sources, set MKLDNN_OPCACHE_ASSUME to it",
        found.name, found.build_id, names);
  }
  return nullptr;
}

}  // namespace opcache

#endif  // OPCACHE_RECOGNISE_H_
