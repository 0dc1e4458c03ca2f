# kz: secrets of the directory, for plain mode. In ~/.bashrc: eval "$(kz hook --shell bash)"
__kz_hook() {
  local before=$? traps
  traps="$(trap -p INT)"
  trap : INT # a waiting kz ends, and says so
  eval "$(command @KZ@ hook --shell bash --step "${KZ_HOOK-}")"
  eval "${traps:-trap - INT}"
  return $before
}
if [[ -z "${KZ_SESSION-}" && ";${PROMPT_COMMAND[*]-};" != *__kz_hook* ]]; then
  if [[ "$(declare -p PROMPT_COMMAND 2>/dev/null)" == "declare -a"* ]]; then
    PROMPT_COMMAND=(__kz_hook "${PROMPT_COMMAND[@]}")
  else
    PROMPT_COMMAND="__kz_hook${PROMPT_COMMAND:+;$PROMPT_COMMAND}"
  fi
fi
