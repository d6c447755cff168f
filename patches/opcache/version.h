#ifndef OPCACHE_VERSION_H_
#define OPCACHE_VERSION_H_

namespace opcache {

const char kVersion[] = "0.1.0";

}  // namespace opcache

#endif  // OPCACHE_VERSION_H_
