# zsh completion of genexp: eval "$(genexp completion zsh)", after compinit
_genexp() {
    local program=${words[1]/#\~/$HOME}
    local -a found whole begun
    found=("${(@f)$("$program" complete "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)}")
    whole=("${(@)${(@M)found:#*[[:space:]]}%[[:space:]]}")
    begun=("${(@)found:#*[[:space:]]}")
    if [[ -z "$found" ]]; then
        compset -P '*='
        _files
        return
    fi
    [[ -z "$whole" ]] || compadd -- "${whole[@]}"
    [[ -z "$begun" ]] || compadd -S '' -- "${begun[@]}"
}
compdef _genexp genexp
