// While one lives, this thread reads and writes numbers with a point, whatever locale the program
// has chosen: variables and reports mean the same in all of them.
#ifndef OPCACHE_REPORT_PLAIN_NUMBERS_H_
#define OPCACHE_REPORT_PLAIN_NUMBERS_H_

#include <locale.h>

namespace opcache {

class PlainNumbers {
 public:
  PlainNumbers()
      : plain_(newlocale(LC_NUMERIC_MASK, "C", static_cast<locale_t>(0))),
        before_(plain_ != static_cast<locale_t>(0) ? uselocale(plain_) : plain_) {}
  ~PlainNumbers() {
    if (plain_ == static_cast<locale_t>(0)) return;
    uselocale(before_);
    freelocale(plain_);
  }
  PlainNumbers(const PlainNumbers &) = delete;
  PlainNumbers &operator=(const PlainNumbers &) = delete;

 private:
  const locale_t plain_;
  const locale_t before_;
};

}  // namespace opcache

#endif  // OPCACHE_REPORT_PLAIN_NUMBERS_H_
