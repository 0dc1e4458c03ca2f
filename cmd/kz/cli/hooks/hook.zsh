# kz: secrets of the directory, for plain mode. In ~/.zshrc: eval "$(kz hook --shell zsh)"
__kz_hook() {
  local before=$?
  setopt localoptions localtraps
  trap : INT # a waiting kz ends, and says so
  eval "$(command @KZ@ hook --shell zsh --step "${KZ_HOOK-}")"
  return $before
}
if [[ -z "${KZ_SESSION-}" ]]; then
  autoload -Uz add-zsh-hook
  add-zsh-hook precmd __kz_hook
  add-zsh-hook chpwd __kz_hook
fi
