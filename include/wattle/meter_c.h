#ifndef WATTLE_METER_C_H
#define WATTLE_METER_C_H

/* Joules between two moments for programs in C and for other languages: libwattle-meter. The rules are those
 * of <wattle/meter.h>; docs/meter.md says what the figures mean.
 *
 * Every function that can fail returns NULL, or a status other than 0, and leaves a sentence for
 * wattle_last_error(). Texts that belong to a handle are valid until it is freed. Functions of one meter may
 * be called from several threads at once, except that none may run beside wattle_meter_close(). Handles that
 * are NULL may be freed; elsewhere they are an error. */

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WATTLE_API __attribute__((visibility("default")))
#else
#define WATTLE_API
#endif

typedef struct wattle_meter wattle_meter;
typedef struct wattle_window wattle_window;
typedef struct wattle_energy wattle_energy;

/* "0.1.0" */
WATTLE_API const char* wattle_version(void);
/* What the last call of this thread that failed has to say: one sentence that names the cure. "" before any.
 */
WATTLE_API const char* wattle_last_error(void);

/* Opens the best source there is. `options` is NULL or a JSON object of
 *   "source"            "rapl", "model", "file:PATH,W", ... as `wattle meter --source`
 *   "profile", "server" for the modelled source, as the flags of these names
 *   "root"              a simulated machine: a directory with sys/ and proc/
 *   "require_measured"  true: an error where only a model is to be had
 *   "gpu"               false: graphics processors are left out
 * Other keys are an error. A thread of the meter's own reads slow sources until wattle_meter_close(). */
WATTLE_API wattle_meter* wattle_meter_open(const char* options);
WATTLE_API void wattle_meter_close(wattle_meter* meter);
WATTLE_API const char* wattle_meter_source(const wattle_meter* meter);
WATTLE_API const char* wattle_meter_grade(const wattle_meter* meter);
WATTLE_API const char* wattle_meter_scope(const wattle_meter* meter);
/* What was lost, and the command that would get it back; "" where nothing was. */
WATTLE_API const char* wattle_meter_notice(const wattle_meter* meter);
/* Measures `seconds` of the machine as it is now, which is idle for the windows that end later. */
WATTLE_API wattle_energy* wattle_meter_idle(wattle_meter* meter, double seconds);

/* Begins a window. Windows may nest and overlap. */
WATTLE_API wattle_window* wattle_window_begin(wattle_meter* meter);
/* Ends it and frees it, also where it fails. With `settle` it waits for the readings that still speak of the
 * window: none of a processor's counters, two refreshes of a meter that shows means. Without, the interval
 * says what is open. Of a modelled figure the processor time is that of this process and of its children that
 * were waited for. */
WATTLE_API wattle_energy* wattle_window_end(wattle_window* window, int settle);
/* Frees a window that is not to be ended. */
WATTLE_API void wattle_window_discard(wattle_window* window);

/* Joules with their 95 % interval; NAN of a NULL handle. */
WATTLE_API double wattle_energy_joules(const wattle_energy* energy);
WATTLE_API double wattle_energy_low(const wattle_energy* energy);
WATTLE_API double wattle_energy_high(const wattle_energy* energy);
/* What an idle machine draws in that time; NAN where idle was not measured. */
WATTLE_API double wattle_energy_idle_joules(const wattle_energy* energy);
WATTLE_API double wattle_energy_seconds(const wattle_energy* energy);
/* "measured", "attributed" or "modelled"; "" of a NULL handle, as of the next three. */
WATTLE_API const char* wattle_energy_grade(const wattle_energy* energy);
WATTLE_API const char* wattle_energy_source(const wattle_energy* energy);
WATTLE_API const char* wattle_energy_scope(const wattle_energy* energy);
/* "" or why the figure must not be believed. */
WATTLE_API const char* wattle_energy_invalid(const wattle_energy* energy);
/* All of it, as `wattle meter --json` writes a figure. */
WATTLE_API const char* wattle_energy_json(const wattle_energy* energy);
WATTLE_API void wattle_energy_free(wattle_energy* energy);

#ifdef __cplusplus
}
#endif

#endif
