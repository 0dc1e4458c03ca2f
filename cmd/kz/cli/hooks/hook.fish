# kz: secrets of the directory, for plain mode. In ~/.config/fish/config.fish: kz hook --shell fish | source
if not set -q KZ_SESSION
    function __kz_hook --on-event fish_prompt --on-variable PWD
        command @KZ@ hook --shell fish --step "$KZ_HOOK" | source
    end
end
