// The one way this library speaks: a line on stderr with its prefix. Silent unless something needs
// a person's attention.
#ifndef OPCACHE_MESSAGE_H_
#define OPCACHE_MESSAGE_H_

namespace opcache {

void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace opcache

#endif  // OPCACHE_MESSAGE_H_
