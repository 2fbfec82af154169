/* The meter's header for C: a program that is compiled as C, on a meter that is a file in the folder given.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wattle/meter_c.h>

static int failures = 0;

static void check(int holds, const char* what, int line) {
  if (holds) return;
  fprintf(stderr, "line %d: %s does not hold; the last error is \"%s\"\n", line, what, wattle_last_error());
  ++failures;
}
#define CHECK(condition) check((condition), #condition, __LINE__)

static void write_power(const char* path, const char* text) {
  FILE* file = fopen(path, "w");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) exit(2);
}

static void refusals(void) {
  CHECK(wattle_meter_open("[]") == NULL);
  CHECK(strstr(wattle_last_error(), "JSON object") != NULL);
  CHECK(wattle_meter_open("{\"sauce\": \"rapl\"}") == NULL);
  CHECK(strstr(wattle_last_error(), "sauce") != NULL);
  CHECK(wattle_meter_open("{\"gpu\": 1}") == NULL);
  CHECK(wattle_meter_open("{\"source\": \"file:/no/such/file\"}") == NULL);
  CHECK(strstr(wattle_last_error(), "/no/such/file") != NULL);
  CHECK(wattle_window_begin(NULL) == NULL);
  CHECK(wattle_window_end(NULL, 1) == NULL);
  CHECK(wattle_meter_idle(NULL, 1) == NULL);
  CHECK(isnan(wattle_energy_joules(NULL)));
  CHECK(strcmp(wattle_energy_json(NULL), "") == 0);
  wattle_meter_close(NULL);
  wattle_window_discard(NULL);
  wattle_energy_free(NULL);
}

static void windows(const char* path) {
  char options[4096];
  wattle_meter* meter;
  wattle_window *outer, *inner;
  wattle_energy *idle, *energy;
  write_power(path, "25 W\n");
  snprintf(options, sizeof options, "{\"source\": \"file:%s\", \"require_measured\": true}", path);
  meter = wattle_meter_open(options);
  CHECK(meter != NULL);
  if (meter == NULL) return;
  CHECK(strcmp(wattle_meter_grade(meter), "measured") == 0);
  CHECK(strstr(wattle_meter_source(meter), path) != NULL);
  CHECK(strcmp(wattle_meter_scope(meter), "wall") == 0);
  CHECK(wattle_meter_idle(meter, -1) == NULL);
  outer = wattle_window_begin(meter);
  inner = wattle_window_begin(meter);
  energy = wattle_window_end(inner, 0);
  CHECK(energy != NULL && isnan(wattle_energy_idle_joules(energy)));
  wattle_energy_free(energy);
  idle = wattle_meter_idle(meter, 1.1);
  CHECK(idle != NULL);
  energy = wattle_window_end(outer, 1);
  CHECK(energy != NULL);
  CHECK(wattle_energy_seconds(energy) > 1);
  CHECK(fabs(wattle_energy_joules(energy) / wattle_energy_seconds(energy) - 25) < 1e-6);
  CHECK(fabs(wattle_energy_idle_joules(energy) / wattle_energy_joules(energy) - 1) < 1e-6);
  CHECK(wattle_energy_low(energy) < wattle_energy_joules(energy));
  CHECK(wattle_energy_high(energy) > wattle_energy_joules(energy));
  CHECK(strcmp(wattle_energy_grade(energy), "measured") == 0);
  CHECK(strcmp(wattle_energy_scope(energy), "wall") == 0);
  CHECK(strstr(wattle_energy_source(energy), path) != NULL);
  CHECK(strcmp(wattle_energy_invalid(energy), "") == 0);
  CHECK(strstr(wattle_energy_json(energy), "\"joules\":") != NULL);
  wattle_energy_free(idle);
  wattle_energy_free(energy);

  outer = wattle_window_begin(meter);
  remove(path);
  wattle_meter_close(meter); /* a window holds the meter on to its end */
  energy = wattle_window_end(outer, 0);
  CHECK(strstr(wattle_energy_invalid(energy), "could not be read") != NULL);
  wattle_energy_free(energy);
}

int main(int argc, char** argv) {
  char path[2048];
  if (argc != 2) return 2;
  snprintf(path, sizeof path, "%s/power_for_c", argv[1]);
  CHECK(strlen(wattle_version()) > 0);
  refusals();
  windows(path);
  return failures > 0;
}
