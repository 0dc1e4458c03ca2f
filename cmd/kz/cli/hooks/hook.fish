# kz: secrets of the directory, for plain mode. In ~/.config/fish/config.fish: kz hook --shell fish | source
if status is-interactive; and not set -q KZ_SESSION # config.fish is read by scripts, too
    function __kz_hook --on-event fish_prompt --on-variable PWD
        command @KZ@ hook --shell fish --step "$KZ_HOOK" | source
    end
end
