#pragma once

#include <compare>
#include <cstdint>

namespace wattle {

/// A number with its unit in its type: quantities of one unit add; those of two do not.
template <typename Unit>
struct Quantity {
  double value = 0;

  constexpr Quantity& operator+=(Quantity other) { return value += other.value, *this; }
  constexpr Quantity& operator-=(Quantity other) { return value -= other.value, *this; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return {a.value + b.value}; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return {a.value - b.value}; }
  friend constexpr Quantity operator*(Quantity a, double factor) { return {a.value * factor}; }
  friend constexpr Quantity operator*(double factor, Quantity a) { return {a.value * factor}; }
  friend constexpr Quantity operator/(Quantity a, double divisor) { return {a.value / divisor}; }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value / b.value; }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

using Joules = Quantity<struct JouleUnit>;
using Watts = Quantity<struct WattUnit>;
using WattHours = Quantity<struct WattHourUnit>;
using Seconds = Quantity<struct SecondUnit>;

constexpr Joules operator*(Watts power, Seconds time) {
  return {power.value * time.value};
}
constexpr Watts operator/(Joules energy, Seconds time) {
  return {energy.value / time.value};
}
constexpr WattHours to_watt_hours(Joules energy) {
  return {energy.value / 3600};
}
constexpr Joules to_joules(WattHours energy) {
  return {energy.value * 3600};
}

}  // namespace wattle
