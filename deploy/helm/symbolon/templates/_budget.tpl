{{/* Seconds of a duration such as 90s, 5m, 1h; only for what the notes say. */}}
{{- define "symbolon.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- mul $number (index (dict "s" 1 "m" 60 "h" 3600 "d" 86400 "" 1 "ms" 0) $unit | int) }}
{{- end }}

{{- define "symbolon.budget" -}}
{{- $seconds := include "symbolon.seconds" . | int }}
{{- $half := div $seconds 2 | int }}
{{- if ge $half 120 }}{{ div $half 60 }} min {{ mod $half 60 }} s{{ else }}{{ $half }} s{{ end }}
{{- end }}
