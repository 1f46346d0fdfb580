# bash completion of genexp: eval "$(genexp completion bash)"
_genexp() {
    local program=${COMP_WORDS[0]/#\~/$HOME} line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <("$program" complete "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -o nospace -o bashdefault -o default -F _genexp genexp
